// The proxy's HTTP API. A 401 is told apart: the page then asks for the key.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function answer(path, options) {
  const response = await fetch(path, { credentials: "same-origin", ...options });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(response.status, body.error?.message ?? `HTTP ${response.status}`);
  return body;
}

export const get = (path) => answer(path, {});

export function login(key) {
  return answer("/dashboard/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ key }),
  });
}

// Calls back for each exchange that ends after the event ``last``. The server ends each stream after a while, and the
// browser asks again from where it was; only when that fails for longer the connection counts as lost.
export function follow(last, onExchange, onState) {
  const source = new EventSource(`/events?after=${last}`);
  let lost = 0;
  const up = () => {
    clearTimeout(lost);
    lost = 0;
    onState("live");
  };
  source.addEventListener("open", up);
  source.addEventListener("quiet", up);
  source.addEventListener("exchange", (event) => {
    up();
    onExchange(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) onState("closed");
    else if (!lost) lost = setTimeout(() => onState("offline"), 3000);
  });
  return () => {
    clearTimeout(lost);
    source.close();
  };
}
