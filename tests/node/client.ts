// What a stranger writes against the generated types: it is only compiled.
import type { components, operations, paths } from "./api";

type Case = components["schemas"]["ReferralCase"];
type Opened = operations["openCase"]["responses"]["201"]["content"]["application/json"];
type Accept = paths["/referral/cases/{case_id}/referrals/{referral_id}/accept"]["post"];

export const needed: Accept["parameters"]["header"] = { "if-match": '"4"', "idempotency-key": "1" };
export const waiting = (one: Case): string[] =>
  one.referrals.filter((referral) => referral.status === "sent").map((referral) => referral.referral_id);
export const idOf = (opened: Opened): string => opened.id;
// @ts-expect-error there is no such status
export const wrong = (one: Case): boolean => one.referrals[0]!.status === "lost";
