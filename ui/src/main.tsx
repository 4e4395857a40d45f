// The styles come first, so that those of a page can build on them.
import './styles/index.css';
import { effect } from '@preact/signals';
import { render } from 'preact';
import { App } from './app/App';
import { loadHub } from './store';
import { isLocked } from './token';

effect(() => {
  if (!isLocked.value) void loadHub();
});
render(<App />, document.body);
