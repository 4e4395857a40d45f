import { Empty, ErrorBox, PageHead, Panel, Table } from '../../components';
import { useGet } from '../../resource';
import { route } from '../../router';
import type { Batch } from '../../types';
import { BatchReport } from './BatchReport';
import { BatchRow } from './BatchRow';

const EVERY_MS = 4_000;

/** Actions on many instances, and how far they are. */
export function BatchesPage() {
  const { data, error, reload } = useGet<Batch[]>('/batches', EVERY_MS);
  const chosen = route.value.query.get('id');
  return (
    <>
      <PageHead title="Batches" />
      <ErrorBox error={error} retry={reload} />
      {chosen !== null && <BatchReport key={chosen} id={chosen} />}
      {data?.length === 0 && <Empty title="No batch has run">Start one in the list of instances.</Empty>}
      {data && data.length > 0 && (
        <Panel title="All batches">
          <Table head={['Action', 'State', 'Progress']} end={['Matched', 'Failed', 'Started', 'Duration']} actions>
            {data.map((batch) => (
              <BatchRow key={batch.id} batch={batch} reload={reload} />
            ))}
          </Table>
        </Panel>
      )}
    </>
  );
}
