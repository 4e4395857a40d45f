import { ApiError } from '../api';
import { forgetToken, isLocked } from '../token';

interface Props {
  error: Error | null | undefined;
  retry?: () => void;
  /** What the server lacks, if it does not have the route. */
  feature?: string;
}

/** An error of a request, with a button to try again. */
export function ErrorBox({ error, retry, feature = 'this' }: Props) {
  if (!error) return null;
  if (error instanceof ApiError && error.isMissingRoute) {
    return (
      <div class="notice" role="note" data-test="unavailable">
        This hub does not offer {feature}.
      </div>
    );
  }
  return (
    <div class="error-box" role="alert" data-test="error">
      <span>{error.message}</span>
      {retry && (
        <button
          type="button"
          onClick={() => {
            // Asks for the token again, if somebody closed that question.
            if (isLocked.value) forgetToken();
            retry();
          }}
        >
          {isLocked.value ? 'Enter a token' : 'Try again'}
        </button>
      )}
    </div>
  );
}
