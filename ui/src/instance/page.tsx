import { useEffect, useMemo } from 'preact/hooks';
import { ErrorBox, Tabs } from '../components';
import { route, setQuery } from '../router';
import { ChildrenTab } from './children';
import { DataTab } from './data';
import { Head } from './head';
import { HistoryTab } from './history-tab';
import './instance.css';
import { MessagesTab } from './messages';
import { InstanceModel } from './model';
import { Outcome } from './outcome';
import { TimelineTab } from './timeline';
import { TravelTab } from './travel';
import { Why } from './why';

const TABS = [
  { id: 'timeline', label: 'Timeline', content: TimelineTab },
  { id: 'history', label: 'History', content: HistoryTab },
  { id: 'travel', label: 'Time travel', content: TravelTab },
  { id: 'data', label: 'Data', content: DataTab },
  { id: 'children', label: 'Children', content: ChildrenTab },
  { id: 'messages', label: 'Messages', content: MessagesTab },
] as const;

/** The page of one orchestration. */
export function InstancePage({ id }: { id: string }) {
  const model = useMemo(() => new InstanceModel(id), [id]);
  useEffect(() => model.start(), [model]);
  const wanted = route.value.query.get('tab');
  const tab = TABS.find((one) => one.id === wanted) ?? TABS[0];
  const Content = tab.content;
  const retry = () => void model.refresh();
  return (
    <div class="i-page" data-test="instance">
      <Head model={model} />
      <ErrorBox error={model.error.value} retry={retry} />
      <Why model={model} />
      <Outcome model={model} />
      {model.status.value && (
        <Tabs
          tabs={TABS}
          selected={tab.id}
          onSelect={(next) => setQuery({ tab: next === TABS[0].id ? null : next }, false)}
          label="Views of the orchestration"
        >
          <ErrorBox error={model.historyError.value} retry={retry} feature="histories" />
          <Content model={model} />
        </Tabs>
      )}
    </div>
  );
}
