import { useMemo } from 'preact/hooks';
import { Panel } from '../../components';
import { useResource } from '../../resource';
import { anyHref } from '../../router';
import type { Lock } from '../../types';
import { loadGraph } from './load-graph';
import { type Graph, layoutOf } from './wait-graph';

const COLUMN = 228;
const ROW = 52;
const WIDTH = 190;
const HEIGHT = 36;
/** Characters of an id that fit into a node. */
const LETTERS = 24;

/** Draws who waits for whom. */
export function WaitGraph({ locks }: { locks: readonly Lock[] }) {
  const known = locks.map(({ entityId, executionId }) => `${entityId.name}@${entityId.key}@${executionId}`).join();
  const { data, loading, reload } = useResource((signal) => loadGraph(locks, signal), [known]);
  return (
    <Panel
      title="Who waits for whom"
      head={
        <>
          {data?.isTruncated && <span class="badge warn">Not all are shown</span>}
          <button type="button" class="quiet" onClick={reload} disabled={loading}>
            {loading ? 'Loading…' : 'Refresh'}
          </button>
        </>
      }
    >
      {data && <Drawing graph={data} />}
    </Panel>
  );
}

function Drawing({ graph }: { graph: Graph }) {
  const { places, columns, rows, cycle } = useMemo(() => layoutOf(graph), [graph]);
  const at = (id: string) => {
    const { column, row } = places.get(id)!;
    return { x: column * COLUMN + 1, y: row * ROW + 10 };
  };
  const width = (columns - 1) * COLUMN + WIDTH + 2;
  return (
    <div class="panel-body">
      {cycle.size > 0 && (
        <p class="bad" role="alert" data-test="cycle">
          A cycle: these instances wait for each other, and none of them can continue by itself.
        </p>
      )}
      <p class="muted">
        An arrow leads from what waits to what it waits for: a dashed one from an instance to an entity or a
        sub-orchestration, a solid one from an entity to the owner of its lock.
      </p>
      <div class="table-box" tabIndex={0} role="region" aria-label="Graph of locks">
        <svg class="graph" width={width} height={rows * ROW + 20} viewBox={`0 0 ${width} ${rows * ROW + 20}`}>
          <defs>
            <marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">
              <path d="M0 0 8 4 0 8Z" class="arrow" />
            </marker>
          </defs>
          {graph.edges.map(({ from, to, kind }) => {
            const start = at(from);
            const end = at(to);
            const isBack = end.x <= start.x;
            const names = ['edge', kind, cycle.has(from) && cycle.has(to) && 'cycle'];
            return (
              <path
                key={`${from} ${to}`}
                class={names.filter(Boolean).join(' ')}
                marker-end="url(#arrow)"
                d={isBack ? backward(start, end) : forward(start, end)}
              />
            );
          })}
          {graph.nodes.map(({ id, isEntity, hint }) => {
            const { x, y } = at(id);
            const names = ['node', isEntity ? 'entity' : 'instance', cycle.has(id) && 'cycle'];
            return (
              <a key={id} href={anyHref(id)} class={names.filter(Boolean).join(' ')}>
                <title>{hint === '' ? id : `${id}: waits for ${hint}`}</title>
                <rect x={x} y={y} width={WIDTH} height={HEIGHT} rx={isEntity ? 4 : 18} />
                <text x={x + 12} y={y + (hint === '' ? 22 : 16)}>
                  {cut(id)}
                </text>
                {hint !== '' && (
                  <text class="hint" x={x + 12} y={y + 29}>
                    {cut(hint, LETTERS + 4)}
                  </text>
                )}
              </a>
            );
          })}
        </svg>
      </div>
    </div>
  );
}

interface Point {
  x: number;
  y: number;
}

function forward(from: Point, to: Point): string {
  const x = from.x + WIDTH;
  const bend = (to.x - x) / 2;
  return `M${x} ${from.y + HEIGHT / 2}c${bend} 0 ${bend} ${to.y - from.y} ${to.x - x} ${to.y - from.y}`;
}

/** An edge that closes a cycle leads back below the nodes. */
function backward(from: Point, to: Point): string {
  const low = Math.max(from.y, to.y) + HEIGHT + 14;
  return `M${from.x + WIDTH / 2} ${from.y + HEIGHT}C${from.x + WIDTH / 2} ${low} ${to.x + WIDTH / 2} ${low} ${to.x + WIDTH / 2} ${to.y + HEIGHT}`;
}

function cut(text: string, length = LETTERS): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
