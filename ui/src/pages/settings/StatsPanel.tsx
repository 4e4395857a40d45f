import { ErrorBox, Panel } from '../../components';
import { bytes, count, duration, words } from '../../format';
import { useGet } from '../../resource';
import type { Stats } from '../../types';

const EVERY_MS = 5_000;

/** Statistics of the hub since it was opened. */
export function StatsPanel() {
  const { data, error, reload } = useGet<Stats>('/stats', EVERY_MS);
  return (
    <Panel title="Statistics" head={<span class="muted">since the hub was opened</span>}>
      <ErrorBox error={error} retry={reload} />
      {data && (
        <table class="compact">
          <tbody>
            {Object.entries(data).map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{words(name.replace(/Seconds$/, ''))}</th>
                <td class="end">{shown(name, value as number)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

function shown(name: string, value: number): string {
  if (name.endsWith('Bytes')) return bytes(value);
  return name.endsWith('Seconds') ? duration(value * 1_000) : count(value);
}
