/** Photos from the reader: picked, dropped or pasted files. */

/// <reference lib="dom" />

import { byId } from "./elements.ts";
import type { Photo } from "./protocol.ts";

/** The types of photos. For a picker that names them, iPhones convert their own format to JPEG. */
export const photoTypes = byId<HTMLInputElement>("file").accept;

/** Reads a file as a photo. The worker decodes it. */
export async function photoOf(file: File): Promise<Photo> {
  const bytes = await file.arrayBuffer().catch(() => {
    throw new Error(`${file.name} cannot be read. If it is a folder, choose the photos in it.`);
  });
  return { name: file.name || "the image", bytes: new Uint8Array(bytes) };
}

/** Says that only the first of several files is used. Empty if there is one. */
export function onlyFirst({ length }: readonly File[]): string {
  return length > 1 ? `This is the first of ${length} files: the page shows one at a time.` : "";
}

/** The buffer of a photo, to move to the worker. */
export function bufferOf(photo: Photo): ArrayBuffer {
  return "bytes" in photo ? photo.bytes.buffer : photo.data.buffer;
}

/** The files of a drop or a paste, in order. */
export function filesOf(data: DataTransfer | null): File[] {
  return Array.from(data?.files ?? []);
}

/**
 * Lets the reader drop files on an element. While files are over it, it has the class `dropping`.
 *
 * @param onFiles Called with the files. There are none if the reader drops a link or a picture of a page.
 * @param onFolder Called at once if there is a folder. Finding its files may take a while.
 */
export function acceptDrops(
  element: HTMLElement,
  onFiles: (files: File[]) => void,
  onFolder: (files: Promise<File[]>) => void,
): void {
  let depth = 0; // of nested elements that the pointer has entered
  const mark = (change: number) => {
    depth = Math.max(0, depth + change);
    element.classList.toggle("dropping", depth > 0);
  };
  const hasFiles = ({ dataTransfer }: DragEvent) =>
    dataTransfer?.types.some((type) => type === "Files" || type === "text/uri-list") ?? false;
  element.addEventListener("dragenter", (event) => {
    if (hasFiles(event)) mark(1);
  });
  element.addEventListener("dragleave", (event) => {
    if (hasFiles(event)) mark(-1);
  });
  element.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault(); // or else the browser leaves the page
  });
  // on the way down: an element inside may stop the event
  element.addEventListener("drop", () => mark(-depth), { capture: true });
  element.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation(); // for an element in another one that accepts drops, too
    const { dataTransfer } = event;
    const entries = Array.from(dataTransfer!.items).flatMap((item) =>
      item.webkitGetAsEntry() ?? []
    );
    if (!entries.some(({ isDirectory }) => isDirectory)) return onFiles(filesOf(dataTransfer));
    onFolder(
      import("./folders.ts").then(({ filesBelow }) => filesBelow(entries, photoTypes.split(","))),
    );
  });
}
