import { Day, WarmHours } from "./warm-props";

/** Days in the order of the week. */
export const DAYS: readonly Day[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const DAY = 24 * 60;
/** Minutes of a week. */
export const WEEK = DAYS.length * DAY;

/** Minutes since midnight of `HH:MM`; nothing where it is no time of a day. */
export function minuteOf(time: unknown, last: "23:59" | "24:00"): number | undefined {
  const [, hours, minutes] = /^(\d\d):(\d\d)$/.exec(String(time)) ?? [];
  const minute = Number(hours) * 60 + Number(minutes);
  const most = last === "24:00" ? DAY : DAY - 1;
  return Number(minutes) < 60 && minute <= most ? minute : undefined;
}

/** How many minutes a span takes that ends on the next day where it does not end after it begins. */
export function lengthOf(from: number, to: number): number {
  return to > from ? to - from : to + DAY - from;
}

/** Which hours apply in each minute of the week, which begins on Monday; checked hours only. */
export function minutesOfWeek(schedule: readonly WarmHours[]): (readonly WarmHours[])[] {
  const minutes: WarmHours[][] = Array.from({ length: WEEK }, () => []);
  for (const hours of schedule) {
    const from = minuteOf(hours.from, "23:59")!;
    const length = lengthOf(from, minuteOf(hours.to, "24:00")!);
    for (const day of new Set(hours.days)) {
      const begin = DAYS.indexOf(day) * DAY + from;
      for (let offset = 0; offset < length; offset++) {
        minutes[(begin + offset) % WEEK]!.push(hours);
      }
    }
  }
  return minutes;
}
