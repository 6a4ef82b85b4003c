import type { DescMessage, DescMethodUnary } from "@bufbuild/protobuf";
import type { Caller, Options } from "./caller.ts";
import type { InputOf, OutputOf } from "./plain-types.ts";

/** The items of a list. `for await` reads page after page; each new loop begins anew. Nothing is sent before. */
export interface List<Item, Page> extends AsyncIterable<Item> {
  /** Reads whole pages: the answers of the server. Each but the last one has a `nextPageToken`. */
  pages(): AsyncIterable<Page>;
  /** Reads every item into an array. */
  toArray(): Promise<Item[]>;
}

/**
 * Makes the list of a method. `itemsOf` takes the items from a page. A request with a `pageToken` begins with that
 * page.
 */
export function createList<I extends DescMessage, O extends DescMessage, Item>(
  caller: Caller,
  method: DescMethodUnary<I, O>,
  request: Options<I>,
  itemsOf: (page: OutputOf<O>) => readonly Item[],
): List<Item, OutputOf<O>> {
  async function* pages(): AsyncGenerator<OutputOf<O>> {
    let next: object = request;
    for (;;) {
      const page = await caller.call(method, next as InputOf<I>);
      yield page;
      const { nextPageToken } = page as { readonly nextPageToken?: string };
      if (nextPageToken === undefined || nextPageToken === "") return;
      next = { ...request, pageToken: nextPageToken };
    }
  }
  async function* items(): AsyncGenerator<Item> {
    for await (const page of pages()) yield* itemsOf(page);
  }
  return {
    pages,
    [Symbol.asyncIterator]: items,
    toArray: async () => {
      const all: Item[] = [];
      for await (const item of items()) all.push(item);
      return all;
    },
  };
}
