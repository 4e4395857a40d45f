import { FormDialog, TextField } from '../components';
import { tokenQuestion } from '../token';

/** Asks for a token when the server requires one. */
export function TokenDialog() {
  const question = tokenQuestion.value;
  if (!question) return null;
  return (
    <FormDialog
      title="Token required"
      action="Continue"
      onSubmit={(data) => question.accept(String(data.get('token')).trim() || null)}
      onClose={() => question.accept(null)}
    >
      <p class="dialog-text">
        This hub requires a token. It is kept until this tab is closed, and it is sent to this server only.
      </p>
      {question.rejected && (
        <p role="alert" class="bad">
          The server did not accept the token.
        </p>
      )}
      <TextField label="Token" name="token" type="password" required autofocus />
    </FormDialog>
  );
}
