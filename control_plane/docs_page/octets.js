// Headers hold octets, and fetch takes a character for each: a text in any language goes as UTF-8.

export function octets(headers) {
  const utf8 = (text) => String.fromCharCode(...new TextEncoder().encode(text));
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, utf8(value)]));
}
