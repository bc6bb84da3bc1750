/** The files in folders that the reader drops. Loaded for the first folder. */

/// <reference lib="dom" />

/** Files that systems put into folders, and that nobody means. */
const hidden = /^(\.|thumbs\.db$|desktop\.ini$)/i;

/**
 * The files of entries and in the folders among them, in the order of their names. Of a folder with files
 * of these types, only those.
 */
export async function filesBelow(
  entries: readonly FileSystemEntry[],
  types: readonly string[],
): Promise<File[]> {
  const found = await Promise.all(entries.map(async (entry) => {
    const files = await filesOf(entry), photos = files.filter(({ type }) => types.includes(type));
    return entry.isDirectory && photos.length > 0 ? photos : files;
  }));
  if (found.every(({ length }) => length === 0)) {
    throw new Error(`${entries[0].name} has no photos.`);
  }
  return found.flat();
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (hidden.test(entry.name)) return [];
  if (!entry.isDirectory) return [await fileOf(entry as FileSystemFileEntry)];
  const entries = await entriesOf(entry as FileSystemDirectoryEntry);
  return (await Promise.all(entries.map(filesOf))).flat();
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader(), entries: FileSystemEntry[] = [];
  for (let isLast = false; !isLast;) { // a browser gives at most 100 at a time
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    entries.push(...some);
    isLast = some.length === 0;
  }
  return entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}
