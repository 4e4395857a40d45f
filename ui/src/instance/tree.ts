/** The tree of sub-orchestrations as a list of lines. */

import type { TreeNode } from './types';

export interface TreeLine {
  /** The path to the node. An id may occur more than once. */
  key: string;
  parent: string | null;
  node: TreeNode;
  depth: number;
  position: number;
  size: number;
}

/** Returns the lines that are not folded, at most `most`. */
export function flatten(root: TreeNode, folded: ReadonlySet<string>, most: number): TreeLine[] {
  const lines: TreeLine[] = [];
  // A stack of its own, because trees may be deep.
  const stack: TreeLine[] = [{ key: root.instanceId, parent: null, node: root, depth: 0, position: 1, size: 1 }];
  for (let line = stack.pop(); line && lines.length < most; line = stack.pop()) {
    lines.push(line);
    if (folded.has(line.key)) continue;
    const { children } = line.node;
    for (let index = children.length - 1; index >= 0; index -= 1) {
      const node = children[index] as TreeNode;
      stack.push({
        key: `${line.key}/${index}/${node.instanceId}`,
        parent: line.key,
        node,
        depth: line.depth + 1,
        position: index + 1,
        size: children.length,
      });
    }
  }
  return lines;
}
