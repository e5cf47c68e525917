// Names for the API's types, as the OpenAPI document has them.

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Account = Schemas["Account"];
export type Condition = Schemas["Condition"];
export type Exit = Schemas["Exit"];
export type Gateway = Schemas["Gateway"];
export type HubEvent = Schemas["Event"];
export type LogLine = Omit<Schemas["LogLine"], "fields"> & { fields: Record<string, unknown> };
export type LogLevel = Schemas["LogLevel"];
export type Pasted = Schemas["Pasted"];
export type ProblemDetails = Schemas["ProblemDetails"];
export type RejectedTick = Schemas["RejectedTick"];
export type Session = Schemas["Session"];
export type Subscriber = Schemas["Subscriber"];
export type Canary = Schemas["Canary"];
export type ContractItem = Schemas["ContractItem"];
export type ContractState = Schemas["ContractState"];
