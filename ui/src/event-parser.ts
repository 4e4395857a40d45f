/** One event of a stream in the format of server-sent events. */
export interface StreamEvent {
  id: string | null;
  event: string;
  data: string;
}

/** Splits a stream of server-sent events, which arrives in pieces of any length. */
export class EventParser {
  #rest = '';
  #id: string | null = null;
  #event = '';
  #data: string[] = [];

  push(piece: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const ended of lines) {
      const line = ended.endsWith('\r') ? ended.slice(0, -1) : ended;
      if (line !== '') this.#field(line);
      else if (this.#data.length > 0 || this.#event !== '') events.push(this.#take());
    }
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    // A comment, which keeps the connection open.
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'id') this.#id = value;
    else if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
  }

  #take(): StreamEvent {
    const event = { id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') };
    this.#event = '';
    this.#data = [];
    return event;
  }
}
