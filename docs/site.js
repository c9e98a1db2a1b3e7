// The search needs a server: a page that is opened as a file shows no box that does nothing.
if (location.protocol === "file:") {
  document.documentElement.classList.add("is-file");
}

// A path in a table breaks after its slashes alone, not at its hyphens.
for (const cell of document.querySelectorAll("td")) {
  for (const node of [...cell.childNodes]) {
    if (node.nodeType === Node.TEXT_NODE && node.data.startsWith(" /")) {
      const parts = node.data.trim().split(/(?<=..\/)/).flatMap((text) => {
        const part = document.createElement("span");
        part.style.whiteSpace = "nowrap";
        part.textContent = text;
        return [part, document.createElement("wbr")];
      });
      node.replaceWith(" ", ...parts);
    }
  }
}
