import { useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Follows the position and the height of an element that scrolls, which is `height` until it is measured. */
export function useScroll(height: number) {
  const box = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState({ top: 0, height });

  function measure(): void {
    const { current } = box;
    if (current) setScroll({ top: current.scrollTop, height: current.clientHeight });
  }

  useLayoutEffect(() => {
    const observer = new ResizeObserver(measure);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);

  return { box, scroll, measure };
}
