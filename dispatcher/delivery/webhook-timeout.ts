/** The attempt reached its time limit. */
export class WebhookTimeout extends Error {
  override readonly name = "WebhookTimeout";
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`No complete answer within ${timeoutMs / 1_000} s.`);
    this.timeoutMs = timeoutMs;
  }
}
