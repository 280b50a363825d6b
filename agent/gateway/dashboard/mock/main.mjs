// Runs the made-up appliance until it is interrupted: `npm run mock`, and PORT to choose another port.
import { TOKENS } from "./appliance.mjs";
import { startMock } from "./server.mjs";

const mock = await startMock(Number(process.env.PORT ?? 4180));
console.log(`${mock.url}, made up in all its parts; tokens: ${Object.values(TOKENS).join(", ")}`);
