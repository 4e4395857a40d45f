import { Payload } from '../components';
import type { RuntimeError } from '../types';

/** An error. Histories and status documents spell its fields differently. */
interface AnyFailure extends AnyCause {
  details?: unknown;
  causes?: AnyCause[];
  nonRetriable?: boolean;
  non_retriable?: boolean;
}

interface AnyCause {
  errorType?: string | null;
  error_type?: string | null;
  message: string;
  stack?: string | null;
}

/** An error with its sources. */
export function FailureBox({ failure }: { failure: AnyFailure }) {
  const { message, details, stack, causes = [] } = failure;
  return (
    <div class="i-failure">
      <p class="break">
        <code>{failure.errorType ?? failure.error_type}</code> {message}{' '}
        {(failure.nonRetriable ?? failure.non_retriable) && <span class="tag">not retried</span>}
      </p>
      {causes.length > 0 && <Causes causes={causes} />}
      {details !== null && details !== undefined && (
        <Payload value={failure.error_type && typeof details === 'string' ? parsed(details) : details} label="error" lines={8} />
      )}
      {stack && <pre class="i-stack">{stack}</pre>}
    </div>
  );
}

function Causes({ causes }: { causes: AnyCause[] }) {
  return (
    <ol class="i-causes">
      {causes.map((cause, index) => (
        <li key={index}>
          <span class="muted">caused by </span>
          <code>{cause.errorType ?? cause.error_type}</code> {cause.message}
          {cause.stack && <pre class="i-stack">{cause.stack}</pre>}
        </li>
      ))}
    </ol>
  );
}

/** The parts of an error of the runtime that a failure has as well. */
export function ofRuntime({ kind, message, sources }: RuntimeError): AnyFailure {
  return { errorType: kind, message, causes: (sources ?? []).map((source) => ({ message: source })) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
