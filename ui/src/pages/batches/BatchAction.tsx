import { startBatch } from '../../batch';
import { Action, Link } from '../../components';
import { href } from '../../router';
import type { Batch, BatchRequest } from '../../types';

interface Props {
  label: string;
  title: string;
  confirm: string;
  request: BatchRequest;
}

/** A button that starts a batch and links to its progress. */
export function BatchAction({ request, ...rest }: Props) {
  return <Action {...rest} run={async () => <BatchStarted batch={await startBatch(request)} />} />;
}

/** The message after the start of a batch. */
export function BatchStarted({ batch: { id } }: { batch: Batch }) {
  return (
    <>
      The batch is running. <Link to={href(['batches'], { id })}>Show its progress</Link>
    </>
  );
}
