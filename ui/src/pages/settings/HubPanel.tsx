import { apiUrl, getText } from '../../api';
import { ErrorBox, Panel, Status, Time } from '../../components';
import { download } from '../../download';
import { useGet } from '../../resource';
import { hub, hubError, loadHub } from '../../store';
import { currentToken, forgetToken } from '../../token';

const EVERY_MS = 15_000;

/** What the hub says about itself. */
export function HubPanel() {
  const health = useGet<{ status: string }>('/health', EVERY_MS);
  const known = hub.value;
  return (
    <Panel title="Hub">
      <ErrorBox error={hubError.value} retry={loadHub} />
      <div class="panel-body">
        <dl class="facts">
          <dt>Health</dt>
          <dd data-test="health">
            {health.error ? (
              <span class="bad">{health.error.message}</span>
            ) : health.data ? (
              <Status status={health.data.status} />
            ) : (
              '–'
            )}
          </dd>
          {known && (
            <>
              <dt>Name</dt>
              <dd>{known.name ?? <span class="muted">none</span>}</dd>
              <dt>Version</dt>
              <dd>Abide {known.version}</dd>
              <dt>Opened</dt>
              <dd>
                {known.openedAt ? (
                  <>
                    <Time t={known.openedAt} />{' '}
                    <span class="muted">
                      (<Time t={known.openedAt} relative />)
                    </span>
                  </>
                ) : (
                  'The hub is stopped. This is its directory or a backup.'
                )}
              </dd>
              <dt>Access</dt>
              <dd>{known.readOnly ? 'Read-only hub' : known.scope === 'read' ? 'Read-only token' : 'Operator'}</dd>
            </>
          )}
          <dt>API</dt>
          <dd>
            <Document name="openapi.json" />, <Document name="metrics" />
          </dd>
        </dl>
        {currentToken() !== null && (
          <p>
            <button
              type="button"
              onClick={() => {
                forgetToken();
                location.reload();
              }}
            >
              Forget the token
            </button>
          </p>
        )}
      </div>
    </Panel>
  );
}

/** A link to a document of the API. */
function Document({ name }: { name: string }) {
  async function click(event: Event): Promise<void> {
    // A link cannot send the token.
    if (currentToken() === null) return;
    event.preventDefault();
    download(await getText(`/${name}`), name);
  }
  return (
    <a href={apiUrl(`/${name}`)} target="_blank" rel="noreferrer" onClick={click}>
      {name}
    </a>
  );
}
