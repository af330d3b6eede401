export function Empty({ words }: { words: string }) {
  return <p className="empty">{words}</p>;
}
