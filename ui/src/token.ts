import { signal } from '@preact/signals';

const KEY = 'abide.token';

/** The question for a token that is open. `accept` closes it; `null` means that none is known. */
export interface TokenQuestion {
  rejected: boolean;
  accept(token: string | null): void;
}

export const tokenQuestion = signal<TokenQuestion | null>(null);
/** True if the server requires a token and the user closed the question. */
export const isLocked = signal(false);

let token = sessionStorage.getItem(KEY);
let answer: Promise<boolean> | null = null;

export function currentToken(): string | null {
  return token;
}

/** Asks for a token. Requests that fail at the same time share the question. Resolves to false if none was given. */
export function askForToken(used: string | null): Promise<boolean> {
  // Another request was refused before and has brought a new token since.
  if (used !== token) return Promise.resolve(token !== null);
  if (isLocked.value) return Promise.resolve(false);
  answer ??= new Promise<boolean>((resolve) => {
    tokenQuestion.value = {
      rejected: used !== null,
      accept(given) {
        store(given);
        isLocked.value = given === null;
        tokenQuestion.value = null;
        answer = null;
        resolve(given !== null);
      },
    };
  });
  return answer;
}

/** Forgets the token. The next request asks again. */
export function forgetToken(): void {
  store(null);
  isLocked.value = false;
}

function store(given: string | null): void {
  token = given;
  if (given === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, given);
}
