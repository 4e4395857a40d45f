import { useMemo } from 'preact/hooks';
import { Empty } from '../components';
import { counted } from '../format';
import { choose } from './address';
import { Split, selectedEvent } from './details';
import { Diagram, type Lane, type Message } from './diagram';
import type { InstanceModel } from './model';
import { Rows } from './rows';

/** The lane of this orchestration. */
const SELF = 1;

/** Messages between the orchestration and others, in their order. */
export function MessagesTab({ model }: { model: InstanceModel }) {
  const { history } = model;
  const diagram = useMemo(() => new Diagram(model.id), [history]);
  const version = model.version.value;
  useMemo(() => diagram.follow(history), [diagram, version]);
  const { lanes, messages } = diagram;
  const event = selectedEvent();
  const selected = useMemo(() => messages.findIndex((message) => message.event === event), [messages.length, event]);
  if (messages.length === 0) return <Empty title={model.isLoading.value ? 'Loading…' : 'No messages yet'} />;
  return (
    <Split model={model}>
      <div>
        <p class="row i-tools muted">
          {counted(messages.length, 'message')}
          {lanes.some((lane) => lane.kind === 'others') && '. Those that came later share the lane “others”.'}
        </p>
        <Rows
          label="Messages"
          count={messages.length}
          rowHeight={30}
          selected={selected}
          onSelect={(index) => choose({ event: messages[index]?.event })}
          data-test="messages"
          head={<Lanes lanes={lanes} />}
          row={(index) => <Arrow message={messages[index] as Message} lanes={lanes} />}
          rowLabel={(index) => sentence(messages[index] as Message, model.id)}
        />
      </div>
    </Split>
  );
}

/** The middle of a lane as a share of the width. */
function middle(lane: number, lanes: Lane[]): number {
  return ((lane + 0.5) / lanes.length) * 100;
}

function Lanes({ lanes }: { lanes: Lane[] }) {
  return (
    <div class="i-lanes" aria-hidden="true" style={{ gridTemplateColumns: `repeat(${lanes.length}, minmax(0, 1fr))` }}>
      {lanes.map((lane) => (
        <span class={`i-lane i-lane-${lane.kind}`} key={lane.kind + lane.name} title={lane.name}>
          <small>{KINDS[lane.kind]}</small>
          {lane.name}
        </span>
      ))}
    </div>
  );
}

const KINDS: Record<Lane['kind'], string> = {
  client: 'outside',
  self: 'this orchestration',
  activity: 'activity',
  entity: 'entity',
  orchestration: 'orchestration',
  others: 'shared lane',
};

function Arrow({ message, lanes }: { message: Message; lanes: Lane[] }) {
  const self = middle(SELF, lanes);
  const other = middle(message.lane, lanes);
  const left = Math.min(self, other);
  const right = Math.max(self, other);
  const pointsRight = message.inward ? self > other : other > self;
  const isShared = lanes[message.lane]?.kind === 'others';
  return (
    <div class={message.failed ? 'i-arrow-row i-failed' : 'i-arrow-row'}>
      {lanes.map((lane, index) => (
        <span class="i-lifeline" key={lane.kind + lane.name} style={{ left: `${middle(index, lanes)}%` }} />
      ))}
      <span
        class={`i-line-arrow ${pointsRight ? 'i-right' : 'i-left'}${message.inward ? ' i-inward' : ''}`}
        style={{ left: `${left}%`, width: `${right - left}%` }}
      >
        <span class="i-arrow-text">{isShared ? `${message.text} (${message.other})` : message.text}</span>
      </span>
    </div>
  );
}

function sentence({ inward, other, text, turn, failed }: Message, self: string): string {
  const [from, to] = inward ? [other, self] : [self, other];
  return `Turn ${turn}: ${from} to ${to}: ${text}${failed ? ', failed' : ''}`;
}
