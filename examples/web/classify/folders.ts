/** The files in folders that the reader drops. Loaded for the first folder. */

/// <reference lib="dom" />

/** Files that systems put into folders, and that nobody means. */
const hidden = /^(\.|thumbs\.db$|desktop\.ini$)/i;

/** The files of entries and in the folders among them, in the order of their names. */
export async function filesBelow(entries: readonly FileSystemEntry[]): Promise<File[]> {
  const found = await Promise.all(entries.map((entry) => {
    if (entry.isDirectory) return filesOfFolder(entry as FileSystemDirectoryEntry);
    return hidden.test(entry.name) ? [] : [fileOf(entry as FileSystemFileEntry)];
  }));
  return await Promise.all(found.flat());
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

async function filesOfFolder(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader(), entries: FileSystemEntry[] = [];
  for (let isLast = false; !isLast;) { // a browser gives at most 100 at a time
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    entries.push(...some);
    isLast = some.length === 0;
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  return await filesBelow(entries);
}
