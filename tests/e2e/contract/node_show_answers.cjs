// Prints what the server answers: the example does not look at an answer that is an error.
const { fetch } = globalThis;
globalThis.fetch = async (...sent) => {
  const answer = await fetch(...sent);
  console.log(await answer.clone().text());
  return answer;
};
