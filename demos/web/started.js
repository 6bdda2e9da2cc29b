(link) => {
  // A job has begun: its settings go into the page's address, so that a reload keeps them, and its progress into view.
  if (link) history.replaceState(null, "", (LINK_OF)(link));
  const status = document.getElementById("NAME-status"), top = status.getBoundingClientRect().top;
  if (top < 0 || top > innerHeight * 0.6) status.scrollIntoView({ block: "center" });
}
