(word) => {
  // The page's own address with the settings in it; a server need not remember anything for it.
  if (!word || word.includes("://")) return word;
  const url = new URL(location.href);
  url.searchParams.set("NAME", word);
  return url.href;
}
