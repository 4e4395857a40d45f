// The styles come first, so that those of a page can build on them.
import './styles/index.css';
import { render } from 'preact';
import { App } from './app/App';

render(<App />, document.body);
