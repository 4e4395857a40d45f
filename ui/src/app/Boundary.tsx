import { Component, type ComponentChildren } from 'preact';

interface Props {
  children: ComponentChildren;
}

/** Shows an error within a page instead of an empty window. */
export class Boundary extends Component<Props, { error: Error | null }> {
  override state = { error: null as Error | null };

  static override getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (!error) return <>{this.props.children}</>;
    return (
      <div class="error-box" role="alert" data-test="broken">
        <span>This page cannot be shown: {error.message}</span>
        <button type="button" onClick={() => this.setState({ error: null })}>
          Try again
        </button>
      </div>
    );
  }
}
