import { words } from '../format';
import { anyHref, href, navigate } from '../router';
import { canOperate, hub, theme } from '../store';
import { showHelp } from './shortcuts';

/** The name of the hub, the search, and the switches that concern every page. */
export function TopBar() {
  const known = hub.value;
  return (
    <header class="top-bar">
      <a class="brand" href="#/">
        <span class="mark" aria-hidden="true">
          A
        </span>
        <span>{known?.name ?? 'Abide'}</span>
      </a>
      {known && !canOperate.value && (
        <span
          class="badge"
          title={known.readOnly ? 'The hub is stopped, or this is a backup.' : 'The token allows reading only.'}
        >
          Read-only
        </span>
      )}
      <form class="search" role="search" onSubmit={search}>
        <input
          type="search"
          name="id"
          aria-label="Find an instance or entity by its id"
          placeholder="Find by id, or @entity@key…"
          autocomplete="off"
          spellcheck={false}
          data-search="global"
        />
        <kbd aria-hidden="true">/</kbd>
      </form>
      <button type="button" class="quiet" onClick={nextTheme} title="Switch the theme">
        {words(theme.value)} theme
      </button>
      <button
        type="button"
        class="quiet"
        onClick={showHelp}
        aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts (?)"
      >
        ?
      </button>
    </header>
  );
}

function search(event: SubmitEvent): void {
  event.preventDefault();
  const form = event.currentTarget as HTMLFormElement;
  const id = String(new FormData(form).get('id') ?? '').trim();
  if (id === '') return;
  form.reset();
  navigate(id.startsWith('@') ? anyHref(id) : href(['instances'], { prefix: id }));
}

function nextTheme(): void {
  theme.value = theme.value === 'system' ? 'light' : theme.value === 'light' ? 'dark' : 'system';
}
