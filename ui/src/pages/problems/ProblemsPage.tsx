import { PageHead, Tabs } from '../../components';
import { route, setQuery } from '../../router';
import { DeadLetters } from './DeadLetters';
import { FailureGroups } from './FailureGroups';
import { QuarantineList } from './QuarantineList';
import { StoppedList } from './StoppedList';

const TABS = [
  { id: 'failures', label: 'Failures' },
  { id: 'stopped', label: 'Stopped' },
  { id: 'quarantine', label: 'Quarantine' },
  { id: 'dead-letters', label: 'Dead letters' },
];

/** What needs somebody to look at it. */
export function ProblemsPage() {
  const wanted = route.value.query.get('tab');
  const selected = TABS.find(({ id }) => id === wanted)?.id ?? 'failures';
  return (
    <>
      <PageHead title="Problems" />
      <Tabs tabs={TABS} selected={selected} onSelect={(tab) => setQuery({ tab })} label="Kinds of problems">
        {selected === 'failures' && <FailureGroups />}
        {selected === 'stopped' && <StoppedList />}
        {selected === 'quarantine' && <QuarantineList />}
        {selected === 'dead-letters' && <DeadLetters />}
      </Tabs>
    </>
  );
}
