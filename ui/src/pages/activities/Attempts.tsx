import { path } from '../../api';
import { InstanceLink, Link, ListPanel, Status, Time } from '../../components';
import { count } from '../../format';
import { href } from '../../router';
import type { ActivityAttempt } from '../../types';
import { useList } from '../../use-list';

const EVERY_MS = 5_000;

/** The attempts of one activity that run or wait. */
export function Attempts({ name }: { name: string }) {
  const list = useList<ActivityAttempt>(path`/activities/${name}`, {}, EVERY_MS);
  return (
    <ListPanel
      title={`Attempts of ${name}`}
      list={list}
      empty={`No attempt of ${name} runs or waits`}
      buttons={<Link to={href(['activities'])}>Close</Link>}
      head={['Instance', 'Step', 'State', 'Crashes']}
      end={['Attempt', 'Ahead in line', 'Since']}
      row={({ instanceId, sequence, label, crashes, attempt, since, ...progress }) => (
        <tr key={`${instanceId} ${sequence}`}>
          <td>
            <InstanceLink id={instanceId} />
          </td>
          <td>
            {sequence} <span class="muted">{label}</span>
          </td>
          <td>
            <Status status={progress.state} />
          </td>
          <td>
            {crashes > 0 && (
              <span
                class="badge bad"
                title="The process crashed while it was running. After too many crashes it fails."
              >
                {crashes === 1 ? '1 crash' : `${crashes} crashes`}, may be poisonous
              </span>
            )}
          </td>
          <td class="end">{attempt}</td>
          <td class="end">{progress.state === 'inLine' && count(progress.ahead)}</td>
          <td class="end">
            <Time t={since} relative />
          </td>
        </tr>
      )}
    />
  );
}
