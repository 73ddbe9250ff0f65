// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const count = (number) => whole.format(number ?? 0);
export const tokens = (number) => (Math.abs(number ?? 0) < 10_000 ? count(number) : short.format(number));

export function usd(number) {
  if (number === null || number === undefined) return "-";
  const digits = Math.abs(number) >= 100 ? 0 : Math.abs(number) >= 0.1 || number === 0 ? 2 : 4;
  const sign = number < 0 ? "-" : "";
  return `${sign}$${Math.abs(number).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

export function share(part, of) {
  return of ? `${(100 * part / of).toFixed(1)} %` : "-";
}

export function when(iso) {
  const moment = new Date(iso);
  const today = moment.toDateString() === new Date().toDateString();
  const time = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return today ? time : `${moment.toLocaleDateString([], { month: "short", day: "numeric" })} ${time}`;
}

export function span(seconds) {
  const minutes = Math.max(0, Math.round(seconds / 60));
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

export function milliseconds(number) {
  if (!number) return "-";
  return number < 10 ? `${number.toFixed(1)} ms` : number < 10_000 ? `${Math.round(number)} ms` : `${Math.round(number / 1000)} s`;
}
