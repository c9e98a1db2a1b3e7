// The search needs a server: a page that is opened as a file shows no box that does nothing.
if (location.protocol === "file:") {
  document.documentElement.classList.add("is-file");
}
