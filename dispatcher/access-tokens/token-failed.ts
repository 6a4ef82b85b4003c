/**
 * No access token could be fetched. The message is for the customer: it says what to do, and has neither the client's
 * secret nor a token.
 */
export class TokenFailed extends Error {
  override readonly name = "TokenFailed";
}
