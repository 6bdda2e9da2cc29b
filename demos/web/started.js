(link) => {
  // A job has begun: its settings go into the page's address, so that a reload keeps them, and its progress into view.
  if (link) history.replaceState(null, "", (LINK_OF)(link));
  document.getElementById("inbetween-status").scrollIntoView({ block: "nearest" });
}
