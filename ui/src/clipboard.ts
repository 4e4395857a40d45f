import { toast } from './components/Toast';

/** Copies a text, and tells about it. */
export async function copy(text: string, done = 'Copied'): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(done);
  } catch {
    toast('The browser did not allow copying', 'error');
  }
}
