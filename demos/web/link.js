(word) => {
  // The page's own address with the settings of a tab in it, last the tab that is to open; a server need not remember anything.
  if (!word || word.includes("://")) return word;
  const url = new URL(location.href);
  url.searchParams.delete("NAME");
  url.searchParams.set("NAME", word);
  return url.href;
}
