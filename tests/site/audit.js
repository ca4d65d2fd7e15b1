// What the page in the browser is like: called with nothing, returns what is wrong, a sentence each.
() => {
  const faults = [];
  const say = (what, node) => faults.push(`${what}: ${(node?.outerHTML ?? "").slice(0, 120)}`);

  // WCAG 2.1: relative luminance and contrast ratio
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const colour = (text) => {
    const numbers = text.match(/-?[\d.]+(?:e-?\d+)?/g).map(Number);
    const [r, g, b] = numbers.map((value) => (text.startsWith("rgb") ? value / 255 : value));
    return [r, g, b, numbers[3] ?? 1];
  };
  const over = ([r, g, b, alpha], under) => [r, g, b].map((value, place) => alpha * value + (1 - alpha) * under[place]);
  const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [0.07, 0.07, 0.07] : [1, 1, 1];
  const ground = (node) => {
    if (!node) return canvas;
    const style = getComputedStyle(node);
    return over(colour(style.backgroundColor), ground(node.parentElement));
  };
  const opacity = (node) => (node ? Number(getComputedStyle(node).opacity) * opacity(node.parentElement) : 1);
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.textContent.trim() || seen.has(node) || !node.checkVisibility()) continue;
    if (["SCRIPT", "STYLE", "TITLE", "DESC"].includes(node.tagName.toUpperCase())) continue;
    seen.add(node);
    const style = getComputedStyle(node);
    const drawn = node.namespaceURI.endsWith("/svg") ? style.fill : style.color;
    const [r, g, b, alpha] = colour(drawn);
    const under = ground(node);
    const ratio = contrast(over([r, g, b, alpha * opacity(node)], under), under);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) say(`contrast ${ratio.toFixed(2)}`, node);
  }

  if (document.documentElement.lang !== "en") say("no language", document.documentElement);
  if (!document.title.trim()) say("no title", document.head);
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((head) => Number(head.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1 || levels[0] !== 1) say(`headings ${levels}`);
  levels.forEach((level, place) => place && level > levels[place - 1] + 1 && say(`heading ${place} skips a level: ${levels}`));
  if (document.querySelectorAll("main").length !== 1) say("not one main part");
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  ids.filter((id, place) => ids.indexOf(id) !== place).forEach((id) => say(`id twice: ${id}`));
  for (const link of document.querySelectorAll("a[href^='#']"))
    if (!document.getElementById(decodeURIComponent(link.hash.slice(1)))) say("leads nowhere", link);
  for (const link of document.querySelectorAll("a"))
    if (!link.textContent.trim() && !link.querySelector("img[alt]")) say("a link without words", link);
  for (const image of document.images) {
    if (!image.alt.trim()) say("no alt", image);
    if (image.complete && !image.naturalWidth) say("broken image", image);
    if (!image.complete) say("unfinished image", image);
  }
  for (const object of document.querySelectorAll("object, svg[role], [role=img]"))
    if (!object.getAttribute("aria-label")?.trim() && !object.querySelector("title")) say("no label", object);
  for (const svg of document.querySelectorAll("svg"))
    if (!svg.hasAttribute("role") && svg.getAttribute("aria-hidden") !== "true") say("a picture without a role", svg);
  for (const box of document.querySelectorAll(".scroll"))
    if (box.tabIndex !== 0 || !box.getAttribute("aria-label")) say("cannot be scrolled by keyboard", box);
  for (const table of document.querySelectorAll("table"))
    if (!table.closest(".scroll")) say("a table that cannot scroll", table);
  for (const head of document.querySelectorAll("th")) if (!head.scope) say("a heading of nothing", head);
  return faults;
}
