import { Component, type ComponentChildren } from 'preact';
import { ErrorBox } from '../components';

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
      <div data-test="broken">
        <ErrorBox
          error={new Error(`This page cannot be shown: ${error.message}`)}
          retry={() => this.setState({ error: null })}
        />
      </div>
    );
  }
}
