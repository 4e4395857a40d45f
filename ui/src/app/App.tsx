import { useEffect, useRef } from 'preact/hooks';
import { Toasts } from '../components';
import { InstancePage } from '../instance/page';
import { ActivitiesPage } from '../pages/activities/ActivitiesPage';
import { BatchesPage } from '../pages/batches/BatchesPage';
import { EntitiesPage } from '../pages/entities/EntitiesPage';
import { EntityPage } from '../pages/entity/EntityPage';
import { InstancesPage } from '../pages/instances/InstancesPage';
import { LocksPage } from '../pages/locks/LocksPage';
import { OverviewPage } from '../pages/overview/OverviewPage';
import { ProblemsPage } from '../pages/problems/ProblemsPage';
import { SchedulesPage } from '../pages/schedules/SchedulesPage';
import { SettingsPage } from '../pages/settings/SettingsPage';
import { useResource } from '../resource';
import { route } from '../router';
import { hub, loadHub } from '../store';
import { Boundary } from './Boundary';
import { Help } from './Help';
import { Nav } from './Nav';
import { PAGES } from './pages';
import { listenToShortcuts } from './shortcuts';
import { TokenDialog } from './TokenDialog';
import { TopBar } from './TopBar';

const HUB_EVERY_MS = 30_000;

listenToShortcuts();

export function App() {
  const { path } = route.value;
  const address = path.join('/');
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  useResource(loadHub, [], HUB_EVERY_MS);

  useEffect(() => {
    const page = PAGES.find((page) => page.path[0] === path[0])?.title;
    document.title = [path[2] ?? path[1], page, hub.value?.name ?? 'Abide'].filter(Boolean).join(' · ');
    // A screen reader announces the new page. At the first load it reads the title anyway.
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
    window.scrollTo(0, 0);
  }, [address, hub.value?.name]);

  return (
    <>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <TopBar />
      <div class="frame">
        <Nav />
        <main ref={main} tabIndex={-1} id="main">
          <Boundary key={address}>
            <Shown path={path} />
          </Boundary>
        </main>
      </div>
      <Toasts />
      <Help />
      <TokenDialog />
    </>
  );
}

function Shown({ path: [page, first, second] }: { path: string[] }) {
  switch (page) {
    case undefined:
      return <OverviewPage />;
    case 'instances':
      return first === undefined ? <InstancesPage /> : <InstancePage id={first} />;
    case 'entities':
      return first !== undefined && second !== undefined ? (
        <EntityPage name={first} entityKey={second === '$' ? '' : second} />
      ) : (
        <EntitiesPage />
      );
    case 'activities':
      return <ActivitiesPage />;
    case 'locks':
      return <LocksPage />;
    case 'schedules':
      return <SchedulesPage />;
    case 'problems':
      return <ProblemsPage />;
    case 'batches':
      return <BatchesPage />;
    case 'settings':
      return <SettingsPage />;
    default:
      return (
        <>
          <h1>Not found</h1>
          <p>
            There is no such page. <a href="#/">Go to the overview</a>
          </p>
        </>
      );
  }
}
