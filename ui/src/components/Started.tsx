import { InstanceLink } from './InstanceLink';

/** The message after the start of an instance. */
export function Started({ id }: { id: string }) {
  return (
    <>
      Started <InstanceLink id={id} />
    </>
  );
}
