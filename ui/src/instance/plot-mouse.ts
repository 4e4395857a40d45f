import { useEffect, useRef, useState } from 'preact/hooks';

/** A movement of the pointer by fewer pixels is a click. */
const SHORTEST_DRAG = 3;

interface Mouse {
  zoomBy: (factor: number, share: number) => void;
  panBy: (share: number) => void;
  onMove: (share: number) => void;
}

/**
 * Zooms with Ctrl and the wheel, and pans by dragging or with Shift and the wheel. Shares are of the width of the plot.
 * Returns the ref of the element that contains the plot.
 */
export function usePlotMouse(mouse: Mouse): (element: HTMLElement | null) => void {
  const [element, setElement] = useState<HTMLElement | null>(null);
  const newest = useRef(mouse);
  newest.current = mouse;
  useEffect(() => (element ? listen(element, newest) : undefined), [element]);
  return setElement;
}

function listen(element: HTMLElement, mouse: { current: Mouse }): () => void {
  let dragged: number | null = null;
  let hasMoved = false;
  const area = () => element.querySelector('.i-plot')?.getBoundingClientRect() ?? new DOMRect(0, 0, 1, 1);
  const shareOf = (event: MouseEvent) => (event.clientX - area().left) / area().width;

  function onWheel(event: WheelEvent): void {
    const isZoom = event.ctrlKey || event.metaKey;
    const across = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
    if (isZoom) mouse.current.zoomBy(Math.exp(event.deltaY / 300), Math.min(1, Math.max(0, shareOf(event))));
    else if (event.shiftKey || Math.abs(across) > Math.abs(event.deltaY)) mouse.current.panBy(across / area().width);
    else return;
    event.preventDefault();
  }

  function onDown(event: PointerEvent): void {
    hasMoved = false;
    if (event.button === 0 && shareOf(event) >= 0) dragged = event.clientX;
  }

  function onMove(event: PointerEvent): void {
    const share = shareOf(event);
    if (dragged !== null && event.buttons === 1) {
      if (Math.abs(event.clientX - dragged) < SHORTEST_DRAG) return;
      mouse.current.panBy((dragged - event.clientX) / area().width);
      dragged = event.clientX;
      hasMoved = true;
    } else if (share >= 0 && share <= 1 && !(event.target as Element).closest('.i-bar')) {
      mouse.current.onMove(share);
    }
  }

  function onUp(): void {
    dragged = null;
  }

  // The click at the end of a drag chooses no row.
  function onClick(event: MouseEvent): void {
    if (hasMoved) event.stopPropagation();
  }

  const end = new AbortController();
  const { signal } = end;
  element.addEventListener('wheel', onWheel, { passive: false, signal });
  element.addEventListener('pointerdown', onDown, { signal });
  element.addEventListener('pointermove', onMove, { signal });
  element.addEventListener('click', onClick, { capture: true, signal });
  addEventListener('pointerup', onUp, { signal });
  return () => end.abort();
}
