/** The response inside an inner service's answer. Throws when there is none, which is a fault of ours. */
export function answered<T>(answer: { readonly response?: T | undefined }): T {
  if (answer.response === undefined) throw new Error("An inner service answered without a response.");
  return answer.response;
}
