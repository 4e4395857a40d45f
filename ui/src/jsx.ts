// What the build inserts into each file that contains JSX.
export { Fragment, h } from 'preact';
