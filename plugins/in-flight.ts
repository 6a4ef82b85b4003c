/** Bounds what is in flight to one broker. */
export interface InFlight {
  /**
   * Takes room for messages of a project. Returns the function that gives it back, or undefined if there is too little.
   */
  enter(projectId: string, messages: number, bytes: number): (() => void) | undefined;
}

/** The most that may be in flight. One project may have half of it. */
export interface InFlightLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

interface Load {
  messages: number;
  bytes: number;
}

/** Makes the bound of one broker. So a broker that is slow, or one project, cannot take the memory of this process. */
export function createInFlight({ maxMessages, maxBytes }: InFlightLimits): InFlight {
  const all: Load = { messages: 0, bytes: 0 };
  const ofProjects = new Map<string, Load>();

  const hasRoom = (load: Load, messages: number, bytes: number, share: number) =>
    load.messages + messages <= maxMessages * share && load.bytes + bytes <= maxBytes * share;

  return {
    enter: (projectId, messages, bytes) => {
      const own = ofProjects.get(projectId) ?? { messages: 0, bytes: 0 };
      if (!hasRoom(all, messages, bytes, 1) || !hasRoom(own, messages, bytes, 0.5)) return undefined;
      ofProjects.set(projectId, own);
      for (const load of [all, own]) {
        load.messages += messages;
        load.bytes += bytes;
      }
      let isIn = true;
      return () => {
        if (!isIn) return;
        isIn = false;
        for (const load of [all, own]) {
          load.messages -= messages;
          load.bytes -= bytes;
        }
        if (own.messages === 0) ofProjects.delete(projectId);
      };
    },
  };
}
