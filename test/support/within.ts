/** Resolves with a promise. After `ms`, it rejects with an Error that says what `say` returns then, such as what is missing. */
export async function within<T>(promise: Promise<T>, ms: number, say: () => string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(say())), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
