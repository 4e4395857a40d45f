import { PageHead, Tabs } from '../../components';
import { route, setQuery } from '../../router';
import { useChanges } from '../../use-changes';
import { DeadLetters } from './DeadLetters';
import { FailureGroups } from './FailureGroups';
import { QuarantineList } from './QuarantineList';
import { StoppedList } from './StoppedList';

const TABS = [
  { id: 'failures', label: 'Failures', Content: FailureGroups },
  { id: 'stopped', label: 'Stopped', Content: StoppedList },
  { id: 'quarantine', label: 'Quarantine', Content: QuarantineList },
  { id: 'dead-letters', label: 'Dead letters', Content: DeadLetters },
] as const;

/** What needs somebody to look at it. */
export function ProblemsPage() {
  useChanges();
  const wanted = route.value.query.get('tab');
  const { id, Content } = TABS.find(({ id }) => id === wanted) ?? TABS[0];
  return (
    <>
      <PageHead title="Problems" />
      <Tabs tabs={TABS} selected={id} onSelect={(tab) => setQuery({ tab })} label="Kinds of problems">
        <Content />
      </Tabs>
    </>
  );
}
