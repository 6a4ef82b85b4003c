import { describeAdapter } from "../testing/adapter-suite.ts";
import { toNext } from "./next.ts";

// Next.js calls a route handler with a web-standard Request, and answers 405 to other methods by itself.
describeAdapter("Next.js", async (receiver) => {
  const { POST } = toNext(receiver);
  return {
    call: ({ body, ...init }) =>
      POST(new Request("http://localhost/easycron", body === undefined ? init : { ...init, body })),
    stop: async () => {},
  };
});
